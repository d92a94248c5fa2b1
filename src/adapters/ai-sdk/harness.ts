import { randomUUID } from "node:crypto";
import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import type { NetworkPolicy, VmAccessor, VmHandle } from "../../client/index.ts";
import { unlessGone } from "../shared/gone.ts";
import { portUrl } from "../shared/port-url.ts";
import { HOME } from "../shared/workplace.ts";
import type {
  CreateSessionOptions,
  HarnessNetworkPolicy,
  HarnessSandboxProvider,
  HarnessSandboxSession,
  PortRequest,
} from "./harness-types.ts";
import { sandboxSession } from "./session.ts";
import { transformationsOf } from "./transformations.ts";

/** Options of `harnessSandbox`. */
export interface HarnessSandboxOptions {
  /** First parts of the keys of the VMs that the provider makes. @default ["harness"] */
  keyPrefix?: readonly string[];
  /** Base directory of relative paths and of commands. It is made if it is missing. @default "/home/agentos" */
  workingDirectory?: string;
  /** Ports of new sessions. @default [] */
  ports?: readonly number[];
}

/** Name of the snapshot that marks a prepared VM. */
const PREPARED = "prepared";

/**
 * Makes the VMs of a server usable as `HarnessV1SandboxProvider` of `@ai-sdk/harness` 1. A VM that `onFirstCreate` has prepared
 * is kept for each identity, and the sessions of the identity are forks of it.
 *
 * @param vms accessor of a client: `client.vm`; or one VM, which every session then uses and no session ends
 * @param options keys, base directory and ports
 * @example
 * ```ts
 * const agent = new HarnessAgent({ harness: claudeCode, sandbox: harnessSandbox(client.vm, { ports: [4000] }) });
 * ```
 */
export function harnessSandbox(
  vms: VmAccessor | VmHandle,
  options: HarnessSandboxOptions = {},
): HarnessSandboxProvider {
  const { keyPrefix = ["harness"] } = options;
  const one = isAccessor(vms) ? undefined : vms;
  const all = vms as VmAccessor;
  const keyOf = (kind: "session" | "identity", name: string) => [...keyPrefix, kind, name];
  const preparing = new Map<string, Promise<VmHandle>>();

  /** Returns the prepared VM of an identity. */
  const template = (identity: string, { onFirstCreate, abortSignal }: CreateSessionOptions) => {
    const running = preparing.get(identity);
    if (running !== undefined) return running;
    const work = (async () => {
      const vm = all.getOrCreate(keyOf("identity", identity));
      if ((await vm.listSnapshots()).some(({ name }) => name === PREPARED)) return vm;
      await onFirstCreate?.(sandboxSession(vm, options), { abortSignal });
      await vm.createSnapshot(PREPARED);
      return vm;
    })().finally(() => preparing.delete(identity));
    preparing.set(identity, work);
    return work;
  };

  const make = async (id: string, request: CreateSessionOptions): Promise<VmHandle> => {
    const key = keyOf("session", id);
    if (request.identity === undefined || request.onFirstCreate === undefined) return all.getOrCreate(key);
    const vm = await template(request.identity, request);
    request.abortSignal?.throwIfAborted();
    try {
      await vm.fork(key);
    } catch (error) {
      // The session was made before.
      if (!(error instanceof AgentVmError && error.code === "duplicate_key")) throw error;
    }
    return all.get(key);
  };

  return {
    specificationVersion: "harness-sandbox-v1",
    providerId: "agent-vm",
    async createSession(request = {}) {
      request.abortSignal?.throwIfAborted();
      const id = request.sessionId ?? randomUUID();
      return sessionOf(id, one ?? (await make(id, request)), one === undefined, options);
    },
    async resumeSession({ sessionId, abortSignal }) {
      abortSignal?.throwIfAborted();
      const vm = one ?? all.get(keyOf("session", sessionId));
      await vm.status();
      return sessionOf(sessionId, vm, one === undefined, options);
    },
  };
}

/** A handle has a method for every name, and an accessor only its own. */
function isAccessor(vms: VmAccessor | VmHandle): vms is VmAccessor {
  return !("connect" in vms);
}

function sessionOf(
  id: string,
  vm: VmHandle,
  isOwn: boolean,
  options: HarnessSandboxOptions,
): HarnessSandboxSession {
  const session = sandboxSession(vm, options);
  let ports: readonly number[] = [...(options.ports ?? [])];
  const getPortEndpoint = async ({ port, protocol }: PortRequest) => {
    if (!ports.includes(port)) {
      throw invalidArgument("port", `one of the session's ports: ${ports.join(", ") || "none"}`, port);
    }
    return { url: (await portUrl(vm, port, protocol)).href };
  };
  return {
    ...session,
    id,
    defaultWorkingDirectory: options.workingDirectory ?? HOME,
    get ports() {
      return ports;
    },
    getPortEndpoint,
    getPortUrl: async (request) => (await getPortEndpoint(request)).url,
    async setPorts(next, { abortSignal } = {}) {
      abortSignal?.throwIfAborted();
      ports = [...next];
    },
    setNetworkPolicy: (policy) => vm.setNetworkPolicy(policyOf(policy)),
    ...transformationsOf(vm),
    async stop() {
      if (isOwn) await unlessGone(vm.sleep());
    },
    async destroy() {
      if (isOwn) await unlessGone(vm.destroy());
    },
    restricted: () => session,
  };
}

function policyOf(policy: HarnessNetworkPolicy): NetworkPolicy {
  if (policy.mode !== "custom") return { outbound: policy.mode === "allow-all" ? "all" : "none" };
  const { allowedHosts = [], allowedCIDRs = [], deniedCIDRs = [] } = policy;
  return { outbound: { allow: [...allowedHosts, ...allowedCIDRs], deny: [...deniedCIDRs] } };
}
