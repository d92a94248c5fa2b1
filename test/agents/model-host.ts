/** Host name of the scripted model inside VMs. */
export const MODEL_HOST = "models.test";

/** Header that the server adds outside of VMs, as it would add an API key. */
export const BORDER_HEADER = "x-border";
