"""Every error this project raises on purpose; the branch says who must act.

SurematchError
├── DataError                   fix the named file, row and column
├── ConfigError                 fix the named setting
│   └── UsageError              fix the command line
├── CheckpointError             train again, or name another folder
├── CalibrationError            bring other labelled queries or another target
├── ChangesError                look after the folder of product changes
│   ├── ChangesCorruptError     its log was altered, or is of another release
│   ├── ChangesLockedError      another process writes it
│   └── ChangesNotKeptError     the disk does not take more
└── BundleError                 build or deploy another bundle
    ├── BundleCorruptError      a file is missing, torn or altered
    └── BundleIncompatibleError the bundle was made for another release

A programmer's mistake stays ``ValueError`` or ``TypeError``. A message says what was found,
what was needed and what to do, on one line.
"""


class SurematchError(Exception):
    """Root of all errors a person outside the code can act on."""


class DataError(SurematchError):
    """A file of products, matches or queries does not hold what it must."""


class ConfigError(SurematchError):
    """A setting is unknown, of the wrong type or out of its range."""


class UsageError(ConfigError):
    """An option of a command is malformed, missing or out of its range, whatever the data."""


class CheckpointError(SurematchError):
    """A checkpoint is missing, unfinished or belongs to another run."""


class CalibrationError(SurematchError):
    """The labelled queries cannot be used to fix a threshold."""


class ChangesError(SurematchError):
    """The log of changed products cannot be opened, or cannot be written."""


class ChangesCorruptError(ChangesError):
    """A line of the log is not what was written, or another release wrote it."""


class ChangesLockedError(ChangesError):
    """Another process has the log open."""


class ChangesNotKeptError(ChangesError):
    """A change could not be put on the disk; it was not made."""


class BundleError(SurematchError):
    """A bundle cannot be opened, or cannot be written."""


class BundleCorruptError(BundleError):
    """A file of the bundle is missing, torn or altered since it was sealed."""


class BundleIncompatibleError(BundleError):
    """The bundle was made by a release that this one cannot serve."""
