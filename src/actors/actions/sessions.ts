import type { SessionMethods } from "../../api/actions.ts";
import { missing } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** Agent sessions; not implemented yet. */
export const sessions: Pick<VmActorActions, keyof SessionMethods> = {
  createSession: missing("createSession"),
  listSessions: missing("listSessions"),
  listPersistedSessions: missing("listPersistedSessions"),
  sendPrompt: missing("sendPrompt"),
  prompt: missing("prompt"),
  cancelPrompt: missing("cancelPrompt"),
  cancelSession: missing("cancelSession"),
  closeSession: missing("closeSession"),
  destroySession: missing("destroySession"),
  respondPermission: missing("respondPermission"),
  setMode: missing("setMode"),
  setModel: missing("setModel"),
  setThoughtLevel: missing("setThoughtLevel"),
  getModes: missing("getModes"),
  getConfigOptions: missing("getConfigOptions"),
  getSequencedEvents: missing("getSequencedEvents"),
  getSessionEvents: missing("getSessionEvents"),
};
