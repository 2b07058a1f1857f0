"""Whole stories disturbed: processes killed and frozen at fault points, webhooks lost, messages doubled; each must end like the undisturbed one."""
