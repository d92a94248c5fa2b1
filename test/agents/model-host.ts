/** What VMs call the machine of the scripted model. */
export const MODEL_HOST = "models.test";

/** A header that the server adds outside of VMs, as it would a key. */
export const BORDER_HEADER = "x-border";
