"""What predict's CSV says of an answer: one optional file a task, named as the task.

Each has `header` and `cells`, as `answer_table` describes them; a task without a file
gets a column for every number it answers.
"""
