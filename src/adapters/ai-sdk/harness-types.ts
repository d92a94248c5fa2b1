/**
 * The interface `HarnessV1SandboxProvider` of `@ai-sdk/harness`, in types of this package. An object of one is an object of the
 * other.
 *
 * @module
 */
import type { AbortOption, SandboxSession } from "./session-types.ts";

/** Reaches every host, or none. */
export interface HarnessNetworkPreset {
  /** `allow-all` or `deny-all`. */
  mode: "allow-all" | "deny-all";
}

/** Reaches certain hosts. */
export interface HarnessCustomNetwork {
  /** Always `custom`. */
  mode: "custom";
  /** Names of hosts, such as `*.example.com`. @default [] */
  allowedHosts?: readonly string[];
  /** Address ranges. @default [] */
  allowedCIDRs?: readonly string[];
  /** Address ranges that stay closed. @default [] */
  deniedCIDRs?: readonly string[];
}

/** Hosts outside that a sandbox may reach. */
export type HarnessNetworkPolicy = HarnessNetworkPreset | HarnessCustomNetwork;

/** A text that a part of a request must be, or begin with. The server takes no regular expression. */
export type RequestTextMatcher =
  | {
      /** The whole text. */
      exact: string;
    }
  | {
      /** Its beginning. */
      startsWith: string;
    }
  | {
      /** Regular expression that it matches. */
      regex: string;
    };

/** A query parameter or header that a request must have. The server takes none. */
export interface RequestPairMatcher {
  /** Its name. @default any */
  readonly key?: RequestTextMatcher;
  /** Its value. @default any */
  readonly value?: RequestTextMatcher;
}

/** Headers that the server sets in requests of the VM's programs on their way out. Their values never enter the VM. */
export interface RequestTransformation {
  /** Requests that it is for: by host, method and path. */
  readonly match: {
    /** Name of the host, whose port 443 it is. */
    readonly host: string;
    /** Path of the request. @default any */
    readonly path?: RequestTextMatcher;
    /** Methods. @default any */
    readonly method?: readonly string[];
    /** Not supported. @default none */
    readonly queryString?: readonly RequestPairMatcher[];
    /** Not supported. @default none */
    readonly headers?: readonly RequestPairMatcher[];
  };
  /** Change of the request. */
  readonly transform: {
    /** Headers, in place of the program's. */
    readonly headers: Readonly<Record<string, string>>;
  };
}

/** URL of a port. */
export interface PortEndpoint {
  /** URL without any other credential. */
  url: string;
}

/** A port of a sandbox, and how to name it. */
export interface PortRequest {
  /** Port inside the VM. */
  port: number;
  /** Protocol of the URL. @default "https" if the server has TLS, else "http" */
  protocol?: "http" | "https" | "ws";
}

/** A VM with its ports, its network policy and its life. */
export interface HarnessSandboxSession extends SandboxSession {
  /** The session id, which `resumeSession` takes. */
  readonly id: string;
  /** Base directory of relative paths and of commands. */
  readonly defaultWorkingDirectory: string;
  /** Ports that `getPortEndpoint` opens. */
  readonly ports: readonly number[];
  /** Makes a preview URL of a port. It lives 24 hours. */
  readonly getPortEndpoint: (request: PortRequest) => Promise<PortEndpoint>;
  /** Makes a preview URL of a port, like `getPortEndpoint`. */
  readonly getPortUrl: (request: PortRequest) => Promise<string>;
  /** Puts the VM to sleep: its processes end and its files stay. A VM of the caller is left alone. */
  readonly stop: () => Promise<void>;
  /** Deletes the VM. A VM of the caller is left alone. */
  readonly destroy: () => Promise<void>;
  /** Sets the hosts outside that the VM may reach. */
  readonly setNetworkPolicy: (policy: HarnessNetworkPolicy) => Promise<void>;
  /**
   * Replaces the headers that the server sets in requests on their way out.
   *
   * @throws AgentVmError `not_supported` for a match by header, query or regular expression; `limit_exceeded` above 32 headers
   */
  readonly setRequestTransformations: (rules: readonly RequestTransformation[]) => Promise<void>;
  /** Adds headers that the server sets in requests on their way out, like `setRequestTransformations`. */
  readonly addRequestTransformations: (rules: readonly RequestTransformation[]) => Promise<void>;
  /** Replaces the ports that `getPortEndpoint` opens. */
  readonly setPorts: (ports: readonly number[], options?: AbortOption) => Promise<void>;
  /** Returns the VM without ports, network policy and life. */
  readonly restricted: () => SandboxSession;
}

/** Options of `createSession`. */
export interface CreateSessionOptions extends AbortOption {
  /** Names the VM, so that `resumeSession` finds it. @default a random id */
  sessionId?: string;
  /** Names a prepared VM, of which sessions are forks. @default none */
  identity?: string;
  /** Prepares the VM of an identity, once. @default not prepared */
  onFirstCreate?: (session: SandboxSession, options: AbortOption) => Promise<void>;
}

/** Options of `resumeSession`. */
export interface ResumeSessionOptions extends AbortOption {
  /** Id of the session. */
  sessionId: string;
}

/** Makes a VM for each session of a harness. */
export interface HarnessSandboxProvider {
  /** Version of the interface. */
  readonly specificationVersion: "harness-sandbox-v1";
  /** Name of this provider. */
  readonly providerId: string;
  /** Makes the VM of a session. */
  readonly createSession: (options?: CreateSessionOptions) => Promise<HarnessSandboxSession>;
  /** Finds the VM of an earlier session. @throws AgentVmError `actor_not_found` */
  readonly resumeSession: (options: ResumeSessionOptions) => Promise<HarnessSandboxSession>;
}
