"""Loggers of records: TensorBoard, Weights & Biases and MLflow, as sinks that may fail without harm to a run.

- `tensorboard`, `wandb` and `mlflow` are the sinks; the last two need their library, which is imported when first used.
- `scalars` says what they log under which names, and which agents of a large population.
- `names` turns the user's choice into sinks, `delivery` calls each of them in a thread of its own.
"""
