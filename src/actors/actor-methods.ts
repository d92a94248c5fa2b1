import { gatewayPath } from "../api/gateway-path.ts";
import type { PreviewUrl } from "../api/methods/previews.ts";
import type { NamesIn } from "../api/methods/table.ts";
import { requireOutside, requireRight } from "../http/grant.ts";
import { storageFailed } from "../runtime/store/coded-store.ts";
import type { VmActorActions, VmContext, VmVars } from "./context.ts";
import { eventLogs } from "./event-log.ts";
import { fork } from "./fork.ts";

/** Reason for which a connection to a destroyed VM closes. The client reads it as an error code. */
const DESTROYED = "user.vm_destroyed";

/** Closes the connections, so that no client opens them again and makes a new VM, and deletes the actor. */
function destroyActor(c: Pick<VmContext, "conns" | "vars" | "destroy">): void {
  const closing = [...c.conns.values()].map((connection) => connection.disconnect(DESTROYED));
  void Promise.allSettled(closing).then(() => c.vars.instance.destroyActor(() => c.destroy()));
}

/** Returns the URLs under which the server answers for a preview. */
function urlsOf(c: VmContext, { path, token }: Pick<PreviewUrl, "path" | "token">) {
  const { endpoint = "", previewHosts } = c.vars.access.policy;
  const pathUrl = `${endpoint}${gatewayPath(c.actorId, path)}/`;
  return { url: previewHosts?.urlOf(c.actorId, token) ?? pathUrl, pathUrl };
}

/** Ends a VM for good, for code of the server that does not wait for it. */
export function destroyForGood(vars: VmVars, c: Pick<VmContext, "conns" | "destroy">): void {
  const end = () => destroyActor({ vars, conns: c.conns, destroy: () => c.destroy() });
  // A VM that could not store its files is destroyed all the same.
  vars.instance.endForGood().then(end, end);
}

type TransferStart = "beginFileRead" | "beginFileWrite" | "beginTarRead" | "beginTarWrite";

/** Tells a client that the bytes of a transfer may travel as HTTP bodies. */
function direct<Ticket extends { transferId: string | null }>(
  c: VmContext,
  ticket: Ticket,
): Ticket & { direct?: true } {
  const { takesBodies, access } = c.vars;
  const isReached = takesBodies && (!access.policy.behindEngine || c.conn.state.isDirect === true);
  if (!isReached || ticket.transferId === null) return ticket;
  return { ...ticket, direct: true };
}

/** The methods that the actor answers itself, or checks for the client's sake, except `beginCall` and `beginCalls`. The VM answers all others. */
export const ACTOR_METHODS: Pick<
  VmActorActions,
  Exclude<NamesIn<"actor">, "beginCall" | "beginCalls"> | "setNetworkPolicy" | "waitForPort" | TransferStart
> = {
  beginFileRead: async (c, ...args) => direct(c, await c.vars.instance.vm.beginFileRead(...args)),
  beginFileWrite: async (c, ...args) => direct(c, await c.vars.instance.vm.beginFileWrite(...args)),
  beginTarRead: async (c, ...args) => direct(c, await c.vars.instance.vm.beginTarRead(...args)),
  beginTarWrite: async (c, ...args) => direct(c, await c.vars.instance.vm.beginTarWrite(...args)),
  fork,
  async createSignedPreviewUrl(c, port, expiresInSeconds) {
    const options = expiresInSeconds === undefined ? {} : { expiresInSeconds };
    const { id: _id, ...preview } = await c.vars.instance.vm.createPreview(port, options);
    return { ...preview, ...urlsOf(c, preview) };
  },
  async createPreview(c, port, options) {
    const preview = await c.vars.instance.vm.createPreview(port, options);
    return { ...preview, ...urlsOf(c, preview) };
  },
  async setNetworkPolicy(c, policy) {
    const { vm } = c.vars.instance;
    const { outbound } = await vm.getNetworkPolicy();
    requireOutside(c.conn.state, policy.outbound, outbound);
    await vm.setNetworkPolicy(policy);
  },
  async waitForPort(c, ...args) {
    const [, options] = args;
    // The app may take its GET for an order.
    if (options?.path !== undefined)
      requireRight(c.conn.state, { right: "network" }, { method: "waitForPort" });
    await c.vars.instance.vm.waitForPort(...args);
  },
  async setLabels(c, labels) {
    await c.vars.instance.setLabels(labels);
  },
  async getEventLog(c, { after = 0 } = {}) {
    return eventLogs.read(c.actorId, c.vars.access.grantOf(c.conn).may, after);
  },
  async setLimits(c, limits) {
    const { instance } = c.vars;
    const before = c.state.own;
    c.state.own = instance.withLimits(before ?? {}, limits);
    try {
      await c.saveState({ immediate: true });
    } catch (error) {
      if (before === undefined) delete c.state.own;
      else c.state.own = before;
      throw storageFailed("The limits could not be stored", error);
    }
    instance.vm.setOwn(c.state.own);
  },
  async destroy(c) {
    try {
      await c.vars.instance.endForGood();
    } finally {
      // The answer leaves before the connections close.
      setImmediate(() => destroyActor(c));
    }
  },
  async acknowledge(c, received) {
    return c.vars.instance.calls.acknowledge(received);
  },
  async abandonCall(c, callId) {
    c.vars.instance.calls.abandon(callId);
  },
};
