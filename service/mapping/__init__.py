"""Turns a venue's own messages into events, by rules that the configuration gives.

The rules are resolved once, when a decoder is built. A batch is decoded into rows in one pass and
turned into events column by column. Only a batch with a fault is read message by message.
"""
