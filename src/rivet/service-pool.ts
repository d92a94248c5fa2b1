/** Name of the runners of RivetKit 2.2 that take actors of the servers themselves, also on servers that are full of VMs. */
export const SERVICE_POOL = "agent-vm-services";

/** Places of a server for such actors. */
export const SERVICE_SLOTS = 16;
