"""What is learnt: one file a task, from targets and outputs to loss, figures, answers.

Read base, then classification; registry finds a task by its name without TensorFlow.
"""
