"""The words of the invented catalogue, and how shops write each of them.

Brands, series and models are invented; a likeness to real ones is chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spellings:
    """How shops write one value: shortened, in German and in French."""

    short: tuple[str, ...]
    german: tuple[str, ...]
    french: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CategoryPlan:
    """What products of one category look like.

    Attributes:
        path: levels of the category, parted by `` > ``.
        noun: what the product is called in its title.
        attributes: names of the attributes that tell variants of a model apart, with the
            values they can have.
    """

    path: str
    noun: str
    attributes: Mapping[str, tuple[str, ...]]


COLOURS = ("Black", "White", "Silver", "Grey", "Blue", "Red", "Gold", "Green")
STORAGES = ("64GB", "128GB", "256GB", "512GB")

CATEGORIES: tuple[CategoryPlan, ...] = (
    CategoryPlan(
        "Electronics > Phones > Mobile Phones",
        "Smartphone",
        {"storage": STORAGES, "colour": COLOURS},
    ),
    CategoryPlan(
        "Electronics > Computers > Tablets",
        "Tablet",
        {"storage": STORAGES, "network": ("Wi-Fi", "Cellular")},
    ),
    CategoryPlan(
        "Electronics > Computers > Laptops",
        "Laptop",
        {"memory": ("8GB RAM", "16GB RAM", "32GB RAM"), "storage": STORAGES},
    ),
    CategoryPlan(
        "Electronics > Screens > Televisions",
        "TV",
        {
            "size": ("32 inch", "40 inch", "43 inch", "50 inch", "55 inch", "65 inch", "75 inch"),
            "resolution": ("Full HD", "4K", "8K"),
        },
    ),
    CategoryPlan(
        "Electronics > Screens > Monitors",
        "Monitor",
        {
            "size": ("22 inch", "24 inch", "27 inch", "32 inch"),
            "resolution": ("Full HD", "QHD", "4K"),
        },
    ),
    CategoryPlan(
        "Electronics > Photo > Cameras",
        "Camera",
        {"kit": ("Body", "18-55mm Kit", "24-105mm Kit"), "colour": ("Black", "Silver")},
    ),
    CategoryPlan(
        "Electronics > Audio > Headphones",
        "Headphones",
        {"connection": ("Wireless", "Wired"), "colour": COLOURS},
    ),
    CategoryPlan(
        "Home > Cleaning > Vacuum Cleaners",
        "Vacuum Cleaner",
        {"power": ("700W", "900W", "1200W", "2000W"), "colour": COLOURS},
    ),
    CategoryPlan(
        "Home > Kitchen > Coffee Machines",
        "Coffee Machine",
        {"power": ("1100W", "1350W", "1500W"), "colour": ("Black", "White", "Silver", "Red")},
    ),
)

SPELLINGS: Mapping[str, Spellings] = {
    "Black": Spellings(("blk", "bk"), ("schwarz",), ("noir",)),
    "White": Spellings(("wht", "wh"), ("weiss", "weiß"), ("blanc",)),
    "Silver": Spellings(("slv", "silv"), ("silber",), ("argent",)),
    "Grey": Spellings(("gry", "gray"), ("grau", "anthrazit"), ("gris",)),
    "Blue": Spellings(("blu", "navy"), ("blau",), ("bleu",)),
    "Red": Spellings(("rd", "crimson"), ("rot",), ("rouge",)),
    "Gold": Spellings(("gld", "champagne"), ("golden",), ("doré",)),
    "Green": Spellings(("grn", "olive"), ("grün",), ("vert",)),
    "Wi-Fi": Spellings(("wifi", "wi-fi only"), ("wlan",), ("wifi seul",)),
    "Cellular": Spellings(("lte", "4g", "wifi + 4g"), ("mobilfunk lte",), ("4g lte",)),
    "Full HD": Spellings(("fhd", "1080p", "1920x1080"), ("full-hd",), ("full hd 1080p",)),
    "QHD": Spellings(("1440p", "wqhd", "2560x1440"), ("wqhd",), ("quad hd",)),
    "4K": Spellings(("uhd", "ultra hd", "2160p"), ("4k uhd",), ("ultra haute définition",)),
    "8K": Spellings(("4320p", "8k uhd"), ("8k uhd",), ("8k",)),
    "Body": Spellings(("body only", "no lens"), ("gehäuse",), ("boîtier nu",)),
    "18-55mm Kit": Spellings(
        ("+ 18-55", "w/ 18-55mm lens"), ("mit objektiv 18-55",), ("avec objectif 18-55",)
    ),
    "24-105mm Kit": Spellings(
        ("+ 24-105", "w/ 24-105mm lens"), ("mit objektiv 24-105",), ("avec objectif 24-105",)
    ),
    "Wireless": Spellings(("bt", "bluetooth", "wrls"), ("kabellos", "funk"), ("sans fil",)),
    "Wired": Spellings(("3.5mm", "cable"), ("kabelgebunden",), ("filaire",)),
    "Smartphone": Spellings(("phone", "mobile"), ("handy",), ("téléphone",)),
    "Tablet": Spellings(("tab",), ("tablet-pc",), ("tablette",)),
    "Laptop": Spellings(("notebook", "lptp"), ("notebook",), ("ordinateur portable",)),
    "TV": Spellings(("television", "smart tv"), ("fernseher",), ("téléviseur",)),
    "Monitor": Spellings(("display", "screen"), ("bildschirm",), ("écran",)),
    "Camera": Spellings(("cam", "digicam"), ("kamera",), ("appareil photo",)),
    "Headphones": Spellings(("hdphones", "headset"), ("kopfhörer",), ("casque",)),
    "Vacuum Cleaner": Spellings(("vac", "hoover"), ("staubsauger",), ("aspirateur",)),
    "Coffee Machine": Spellings(("coffee maker",), ("kaffeemaschine",), ("machine à café",)),
    "Pro": Spellings(("pro",), ("pro",), ("pro",)),
    "Plus": Spellings(("+",), ("plus",), ("plus",)),
    "Lite": Spellings(("lt", "light"), ("lite",), ("lite",)),
    "II": Spellings(("mk2", "mark 2", "2nd gen"), ("2. generation",), ("2e génération",)),
}
"""How shops write the values that are words."""

UNITS: Mapping[str, Spellings] = {
    "GB": Spellings(("{}gb", "{}g", "{} gig"), ("{} gb",), ("{} go", "{}go")),
    "GB RAM": Spellings(
        ("{}gb", "{}g ram", "ram {}gb"), ("{} gb arbeitsspeicher",), ("{} go ram",)
    ),
    "inch": Spellings(('{}"', "{}in", "{}-inch"), ("{} zoll",), ("{} pouces",)),
    "W": Spellings(("{} w", "{}wt"), ("{} watt",), ("{} watts",)),
}
"""How shops write the values that are a number and a unit; ``{}`` is the number."""

SUFFIXES = ("", "Pro", "Plus", "Lite", "II")
"""What may follow a model's number."""

BRAND_STARTS = ("Vel", "Kro", "Nor", "Tal", "Bri", "Zen", "Mar", "Ost", "Fal", "Quo", "Lun", "Hex")
BRAND_ENDS = ("tora", "mik", "dane", "vex", "lios", "quar", "bryn", "sonde", "grove", "marc")
SERIES_STARTS = ("Aer", "Nim", "Pul", "Vis", "Orb", "Stra", "Lum", "Zeph", "Cor", "Ember", "Gly")
SERIES_ENDS = ("ion", "bus", "sar", "ta", "itra", "enza", "ola", "yx", "una", "edge")

BOILERPLATE: tuple[str, ...] = (
    "free delivery",
    "brand new",
    "new sealed",
    "uk stock",
    "2 year warranty",
    "best price",
    "next day delivery",
    "official store",
    "neu & ovp",
    "versandkostenfrei",
    "livraison gratuite",
    "garantie 2 ans",
)
BUNDLES: tuple[str, ...] = (
    "with case",
    "incl. bag",
    "+ cleaning kit",
    "+ 32gb card",
    "with charger",
    "mit tasche",
    "inkl. zubehör",
    "avec housse",
)
