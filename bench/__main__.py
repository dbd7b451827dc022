"""`make bench`: every table, one after the other."""

from bench import broker, ledger, line, sensors_and_rules

for table in (sensors_and_rules, ledger, line, broker):
    table.main()
