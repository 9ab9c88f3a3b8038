"""What is kept and drawn of an evaluation: one file a task, named as the task.

See `app.reporting.by_task`. Nothing else belongs here.
"""
