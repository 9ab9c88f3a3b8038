"""Every promise for every task, feature and own part: one table, promise 10."""
