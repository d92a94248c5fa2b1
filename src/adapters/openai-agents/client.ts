import { invalidArgument } from "../../api/errors.ts";
import type { VmAccessor } from "../../client/index.ts";
import { Workplace } from "../shared/workplace.ts";
import { applyManifest } from "./manifest.ts";
import type { ManifestEntry, ManifestLike, VmSandboxState } from "./sandbox-types.ts";
import { type SandboxSessionDeps, VmSandboxSession } from "./session.ts";

/** Functions of the SDK that the adapter needs. */
export interface SandboxParts<Manifest extends ManifestLike, Input>
  extends Pick<SandboxSessionDeps<Manifest>, "applyDiff"> {
  /** Class of the SDK. */
  Manifest: ManifestClass<Manifest>;
  /** Reads the arguments of `create`. */
  normalizeSandboxClientCreateArgs(args?: Input, options?: Record<string, unknown>): CreateArgs<Manifest>;
}

/** Arguments of `create` in the form in which the SDK reads them. */
export interface CreateArgs<Manifest> {
  /** First content of the workspace. */
  manifest: Manifest;
  /** Options of the sandbox. @default {} */
  options?: Record<string, unknown> | undefined;
}

/** The class `Manifest` of the SDK. */
export interface ManifestClass<Manifest> {
  /** Makes a manifest. */
  new (init: {
    root?: string;
    entries?: Record<string, never>;
    environment?: Record<string, never>;
  }): Manifest;
}

/** Options of `openAiSandbox`. */
export interface OpenAiSandboxOptions {
  /** First parts of the keys of the VMs. @default ["openai"] */
  keyPrefix?: readonly string[];
}

interface SandboxOptions {
  key?: unknown;
}

/**
 * Makes the VMs of a server the sandboxes of the OpenAI Agents SDK: the `client` of a run's `sandbox`.
 *
 * @param vms accessor of a client: `client.vm`
 * @param parts functions of `@openai/agents-core` and of its `/sandbox`
 * @param options keys of the VMs
 * @example
 * ```ts
 * import { applyDiff, Runner } from "@openai/agents-core";
 * import * as sandbox from "@openai/agents-core/sandbox";
 *
 * const vms = openAiSandbox(client.vm, { ...sandbox, applyDiff });
 * await new Runner().run(new sandbox.SandboxAgent({ name: "coder" }), "Fix the test", { sandbox: { client: vms } });
 * ```
 */
export function openAiSandbox<Manifest extends ManifestLike, Input>(
  vms: VmAccessor,
  parts: SandboxParts<Manifest, Input>,
  options: OpenAiSandboxOptions = {},
): VmSandboxClient<Manifest, Input> {
  return new VmSandboxClient(vms, parts, options);
}

/** Makes, resumes and deletes sandboxes. Made by `openAiSandbox`. */
export class VmSandboxClient<Manifest extends ManifestLike, Input> {
  /** Name of this kind of sandbox in the state of a run. */
  readonly backendId = "agent-vm";
  /** Options may be missing. */
  readonly supportsDefaultOptions = true;
  readonly #vms: VmAccessor;
  readonly #parts: SandboxParts<Manifest, Input>;
  readonly #prefix: readonly string[];

  constructor(
    vms: VmAccessor,
    parts: SandboxParts<Manifest, Input>,
    { keyPrefix = ["openai"] }: OpenAiSandboxOptions,
  ) {
    this.#vms = vms;
    this.#parts = parts;
    this.#prefix = keyPrefix;
  }

  /**
   * Makes a sandbox and puts the entries of its manifest into the workspace. The option `key` takes a VM that may exist.
   *
   * @throws AgentVmError `not_supported` for mounts, `invalid_argument`
   */
  create = async (args?: Input, options?: Record<string, unknown>): Promise<VmSandboxSession<Manifest>> => {
    const { manifest, options: given } = this.#parts.normalizeSandboxClientCreateArgs(args, options);
    const key = this.#keyOf((given ?? options ?? {}) as SandboxOptions);
    const vm = this.#vms.getOrCreate(key);
    const place = new Workplace(vm, manifest.root);
    await applyManifest(place, manifest);
    return this.#session({ manifest, key, environment: await manifest.resolveEnvironment() });
  };

  /** Takes up a sandbox with the state of an earlier session. */
  resume = async (state: VmSandboxState<Manifest>): Promise<VmSandboxSession<Manifest>> =>
    this.#session({ ...state, environment: await state.manifest.resolveEnvironment() });

  /** Destroys the VM of a sandbox. */
  delete = async (state: VmSandboxState<Manifest>): Promise<void> =>
    await this.#vms.getOrCreate(state.key).destroy();

  /** Returns the part of a state that is not the SDK's own: the key of the VM. */
  serializeSessionState = async (state: VmSandboxState<Manifest>): Promise<Record<string, unknown>> => ({
    key: state.key,
  });

  /** Reads a stored state. @throws AgentVmError `invalid_argument` for a key that is not below `keyPrefix` */
  deserializeSessionState = async (state: Record<string, unknown>): Promise<VmSandboxState<Manifest>> => {
    const { key, manifest } = state;
    const isKey = Array.isArray(key) && key.every((part) => typeof part === "string");
    if (!isKey || this.#prefix.some((part, index) => key[index] !== part))
      throw invalidArgument("state.key", `a key below ${JSON.stringify(this.#prefix)}`, key);
    return { ...state, key, manifest: manifest as Manifest };
  };

  #session(state: VmSandboxState<Manifest>): VmSandboxSession<Manifest> {
    const { applyDiff, Manifest } = this.#parts;
    // Both are complete manifests of the SDK, which its constructor reads.
    type Whole = { entries: Record<string, ManifestEntry & never>; environment: Record<string, never> };
    const merge = (manifest: Manifest, added: Manifest): Manifest => {
      const [old, more] = [manifest, added] as unknown as [Whole, Whole];
      return new Manifest({
        ...manifest,
        entries: { ...old.entries, ...more.entries },
        environment: { ...old.environment, ...more.environment },
      });
    };
    return new VmSandboxSession(this.#vms.getOrCreate(state.key), state, { applyDiff, merge });
  }

  #keyOf({ key }: SandboxOptions): string[] {
    if (key === undefined) return [...this.#prefix, crypto.randomUUID()];
    if (typeof key !== "string") throw invalidArgument("options.key", "a string", key);
    return [...this.#prefix, key];
  }
}
