"""Steps of the ledger's schema. A released step is never edited: a change is a new step."""
