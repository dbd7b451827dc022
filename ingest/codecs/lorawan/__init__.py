"""LoRaWAN devices behind a network server: one small file for each device family, and what they share.

A new family is one file with its decoders and one line of `models.py`.
"""
