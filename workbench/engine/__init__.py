"""What every training stands on: stateless random streams, schedules, checkpoints, batched views on the device."""
