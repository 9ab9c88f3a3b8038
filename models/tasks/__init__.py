"""What is learnt: one file a task, from targets and outputs to loss, figures, answers.

Read base, then classification; names has all of them without TensorFlow, registry finds
one by its name.
"""
