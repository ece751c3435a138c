"""Receipts as documents: what is printed, how it becomes a PDF, where the file is kept.

Nothing here knows the database or the queue. :mod:`~paywindow.receipts.data` is the frozen content,
:mod:`~paywindow.receipts.render` turns it into HTML and PDF, :mod:`~paywindow.receipts.storage` says what a store does
(:mod:`~paywindow.receipts.local_store` is a folder, :mod:`~paywindow.receipts.s3_store` a bucket), and
:mod:`~paywindow.receipts.local_url` signs and verifies the links of the folder.
"""
