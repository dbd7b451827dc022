"""From what is stored to what is shown: pure functions from facts to the values of `api.views`."""
