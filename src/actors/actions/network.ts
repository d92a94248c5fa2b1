import type { NetworkMethods } from "../../api/actions.ts";
import { missing } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** Network actions; not implemented yet. */
export const network: Pick<VmActorActions, keyof NetworkMethods> = {
  vmFetch: missing("vmFetch"),
  createSignedPreviewUrl: missing("createSignedPreviewUrl"),
};
