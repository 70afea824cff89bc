"""From a folder of recordings to a workspace that pages can open: the steps, the plan, and the job that runs them."""
