"""The page: plain data from results, laid out by the templates beside this file."""
