"""paywindow: checkout and payment processing for auction marketplaces, with a deadline."""

__version__ = "0.1.0"
