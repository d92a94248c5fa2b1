/** Host name of the scripted model inside VMs. */
export const MODEL_HOST = "models.test";

/** Host name of the server itself inside VMs. */
export const OWN_HOST = "machines.test";

/** Token of the server. */
export const SERVER_TOKEN = "administrator of the trial";

/** Header that the server adds outside of VMs, as it would add an API key. */
export const BORDER_HEADER = "x-border";
