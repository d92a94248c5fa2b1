/** What VMs call the machine of the scripted model. */
export const MODEL_HOST = "models.test";
