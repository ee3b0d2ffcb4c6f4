"""From a context, or a table of customers, to the columns that learners see."""
