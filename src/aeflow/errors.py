"""The ways aeflow refuses to go on; each message names the file, line or key and the value found."""


class DataError(ValueError):
    """Data contradict what was declared: a bad cell, a duplicate id, a wrong unit."""


class UndefinedError(DataError):
    """A number that these data do not define, such as a correlation of constants; the others of a run are not lost."""


class ConfigError(ValueError):
    """The configuration asks for something that does not exist or cannot be."""


class FetchError(OSError):
    """A file could not be had, or what was had is not what was asked for."""
