"""Training: losses, distillation, schedules and the Lightning module whose step reads like METHOD §5."""
