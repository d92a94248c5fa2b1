/** Limits of a VM's key, labels and variables, and of the list of VMs. */

/**
 * Strings in the key of `fork`.
 * @unit strings
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_KEY_PARTS = 16;

/**
 * All strings in the key of `fork` together.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_KEY_BYTES = 1024;

/**
 * Variables that the creator of a VM chooses for it, all together.
 * @unit bytes
 * @past The VM is not made.
 * @code invalid_argument
 */
export const MAX_OWN_ENV_BYTES = 65_536;

/**
 * Labels of a VM.
 * @unit labels
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_LABELS = 32;

/**
 * Name or value of a label.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_LABEL_BYTES = 256;

/**
 * Labels by which `client.vm.list()` finds VMs.
 * @unit labels
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_LISTED_LABELS = 8;

/**
 * VMs in a page of `client.vm.list()`.
 * @unit VMs
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_LISTED_VMS = 1000;
