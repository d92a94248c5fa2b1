import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError, actionNotFound } from "../api/errors.ts";
import type { ForkedVm, ForkOptions } from "../api/methods/snapshot-types.ts";
import { requireReach, requireRight } from "../http/grant.ts";
import { isDraining, serverStopping } from "../monitoring/draining.ts";
import { toUserError, userError, withUserErrors } from "../rivet/user-error.ts";
import type { ForkSource } from "../runtime/persistence/fork.ts";
import type { VmContext } from "./context.ts";
import { asRunning } from "./drain.ts";
import { forkError, isBetweenServers } from "./fork-error.ts";
import {
  FORK_ACTIONS,
  type ForkPiece,
  type Peer,
  type PeerParams,
  type Peers,
  peerParams,
  peersOf,
} from "./fork-peers.ts";
import { sealSecrets } from "./fork-secrets.ts";
import { FORK_MOVE_MS } from "./limits.ts";

/** Pause before a new VM that moves to another server is asked again. */
const FORK_PAUSE_MS = 250;

/** Creates a new VM with the files that this VM has now or had at a snapshot, and with its secrets if they are asked for. */
export async function fork(
  c: VmContext,
  newKey: string | string[],
  { secrets = false, snapshot }: ForkOptions = {},
): Promise<ForkedVm> {
  const { instance } = c.vars;
  const key = [newKey].flat();
  requireReach(c.conn.state, { name: c.name, key });
  if (secrets) requireRight(c.conn.state, { right: "admin" }, { option: "secrets of fork" });
  const seal = async (ticket: string) =>
    secrets ? sealSecrets(c.vars.secret, ticket, await instance.vm.ownSecrets()) : undefined;
  const work = (source: ForkSource) =>
    instance.forks.during(source, seal, async (ticket) => {
      const input = {
        fork: { actorId: c.actorId, ticket },
        own: { ...c.state.own, labels: await instance.vm.labels() },
      };
      const made = await create(peersOf(c), key, { input, params: peerParams(c.vars.access) });
      // A new VM that fails here destroys itself, so that its key is free again.
      await fill(made);
      return { key, actorId: await made.resolve() };
    });
  return await instance.vm.withForkSource(work, snapshot);
}

/** Lets the new VM take its files. A server that it leaves in the middle hands it over, and it begins again. */
async function fill(made: Peer): Promise<void> {
  const until = performance.now() + FORK_MOVE_MS;
  for (;;) {
    try {
      await made.action({ name: FORK_ACTIONS.take, args: [] });
      return;
    } catch (error) {
      if (!isBetweenServers(error) || performance.now() > until) throw forkError(error);
      await delay(FORK_PAUSE_MS);
    }
  }
}

async function create(
  peers: Peers,
  key: string[],
  options: { input: unknown; params: PeerParams },
): Promise<Peer> {
  try {
    return await peers.create(key, options);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "duplicate_key") throw forkError(error);
    // A VM whose fork was cut off, and that nobody has called since, destroys itself now.
    const { params } = options;
    await peers
      .get(key, { params })
      .action({ name: FORK_ACTIONS.check, args: [] })
      .catch(() => undefined);
    throw new AgentVmError("duplicate_key", `A VM with the key ${JSON.stringify(key)} exists already`, {
      key,
      hint: "fork() makes a new VM. Pass a key that no VM has.",
    });
  }
}

/** Answers a new VM that copies this VM's files. */
export async function readFork(c: VmContext, ticket: unknown, from: unknown): Promise<ForkPiece> {
  if (!c.conn.state.unlimited || typeof ticket !== "string" || typeof from !== "number")
    throw userError(actionNotFound(FORK_ACTIONS.read));
  return await withUserErrors(c.vars.instance.monitor.log, FORK_ACTIONS.read, () =>
    c.vars.instance.forks.read(ticket, from),
  );
}

/** Copies files and secrets into this new VM. Answers the old VM when they have arrived. */
export async function takeFork(c: VmContext): Promise<null> {
  const { instance } = c.vars;
  const { arrival } = instance;
  if (!c.conn.state.unlimited || !arrival.isPending) throw userError(actionNotFound(FORK_ACTIONS.take));
  try {
    await asRunning(instance, () => arrival.take());
    arrival.end();
    return null;
  } catch (error) {
    // The VM moves to another server, where the old VM asks it again.
    if (isDraining()) throw userError(serverStopping());
    c.destroy();
    throw toUserError(forkError(error), instance.monitor.log, FORK_ACTIONS.take);
  }
}

/** Makes this VM destroy itself if it is the rest of a fork that was cut off. */
export async function checkFork(c: VmContext): Promise<null> {
  const { arrival, monitor } = c.vars.instance;
  if (!c.conn.state.unlimited || !arrival.isPending) throw userError(actionNotFound(FORK_ACTIONS.check));
  await withUserErrors(monitor.log, FORK_ACTIONS.check, () => arrival.ready());
  return null;
}
