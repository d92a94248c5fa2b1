import type { SessionMethods } from "../../api/actions.ts";
import { action } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** Actions of agent sessions. */
export const sessions: Pick<VmActorActions, keyof SessionMethods> = {
  createSession: action("createSession", (c, agentType, options) =>
    c.vars.instance.vm.createSession(agentType, options),
  ),
  listSessions: action("listSessions", (c) => c.vars.instance.vm.listSessions()),
  listPersistedSessions: action("listPersistedSessions", (c) => c.vars.instance.vm.listPersistedSessions()),
  getSession: action("getSession", (c, sessionId) => c.vars.instance.vm.getSession(sessionId)),
  resumeSession: action("resumeSession", (c, sessionId) => c.vars.instance.vm.resumeSession(sessionId)),
  listAgents: action("listAgents", (c) => c.vars.instance.vm.listAgents()),
  sendPrompt: action("sendPrompt", (c, sessionId, prompt) =>
    c.vars.instance.vm.sendPrompt(sessionId, prompt),
  ),
  prompt: action("prompt", (c, sessionId, text) => c.vars.instance.vm.prompt(sessionId, text)),
  cancelPrompt: action("cancelPrompt", (c, sessionId) => c.vars.instance.vm.cancelPrompt(sessionId)),
  cancelSession: action("cancelSession", (c, sessionId) => c.vars.instance.vm.cancelSession(sessionId)),
  closeSession: action("closeSession", (c, sessionId) => c.vars.instance.vm.closeSession(sessionId)),
  destroySession: action("destroySession", (c, sessionId) => c.vars.instance.vm.destroySession(sessionId)),
  respondPermission: action("respondPermission", (c, sessionId, permissionId, reply) =>
    c.vars.instance.vm.respondPermission(sessionId, permissionId, reply),
  ),
  setMode: action("setMode", (c, sessionId, modeId) => c.vars.instance.vm.setMode(sessionId, modeId)),
  setModel: action("setModel", (c, sessionId, model) => c.vars.instance.vm.setModel(sessionId, model)),
  setThoughtLevel: action("setThoughtLevel", (c, sessionId, level) =>
    c.vars.instance.vm.setThoughtLevel(sessionId, level),
  ),
  getModes: action("getModes", (c, sessionId) => c.vars.instance.vm.getModes(sessionId)),
  getConfigOptions: action("getConfigOptions", (c, sessionId) =>
    c.vars.instance.vm.getConfigOptions(sessionId),
  ),
  getSequencedEvents: action("getSequencedEvents", (c, sessionId, options) =>
    c.vars.instance.vm.getSequencedEvents(sessionId, options),
  ),
  getSessionEvents: action("getSessionEvents", (c, sessionId) =>
    c.vars.instance.vm.getSessionEvents(sessionId),
  ),
};
