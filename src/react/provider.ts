import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useContext,
  useEffect,
  useState,
} from "react";
import { type ClientOptions, createClient, type VmAccessor, type VmHandle } from "../client/index.ts";

/** A client of which the hooks use the VMs by the name of their actor. */
export interface ReactClient {
  /** Closes every connection of the client. */
  dispose(): Promise<void>;
}

/** Properties that every `AgentVmProvider` takes. */
interface CommonProps {
  /** Name of the actor whose VMs `useVm` returns. @default "vm" */
  actor?: string;
  /** Components that use the hooks. */
  children?: ReactNode;
}

/** Properties of a provider with a client of yours. */
export interface ClientProps extends CommonProps {
  /** A client of `createClient()`. Its owner disposes it. */
  client: ReactClient;
  /** Not together with `client`. */
  options?: undefined;
}

/** Properties of a provider whose client lives as long as the provider. */
export interface OptionsProps extends CommonProps {
  /** Not together with `options`. */
  client?: undefined;
  /** Options of `createClient()`: `endpoint`, and a `token` for the page. Other values make another client. */
  options: ClientOptions;
}

/** Properties of `AgentVmProvider`. */
export type AgentVmProviderProps = ClientProps | OptionsProps;

/** Time in which the components below close what they have opened, in milliseconds. */
const CLOSE_MS = 5_000;

interface Provided {
  client: ReactClient;
  actor: string;
  handles: Map<string, VmHandle>;
}

const Context = createContext<Provided | undefined>(undefined);

const make = createClient as unknown as (options: ClientOptions) => ReactClient;

/**
 * Gives the components below it a client.
 *
 * @example
 * ```tsx
 * <AgentVmProvider options={{ endpoint: "https://vms.example", token }}>
 *   <Terminal />
 * </AgentVmProvider>
 * ```
 */
export function AgentVmProvider({
  client,
  options,
  actor = "vm",
  children,
}: AgentVmProviderProps): ReactElement | null {
  const [provided, setProvided] = useState<Provided>();
  const wanted = JSON.stringify(options);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text stands for the options
  useEffect(() => {
    const used = client ?? make(options ?? {});
    setProvided({ client: used, actor, handles: new Map() });
    return () => {
      setProvided(undefined);
      // The components below end later than the provider, and close their shells with this client.
      if (client === undefined) setTimeout(() => void used.dispose(), CLOSE_MS);
    };
  }, [client, wanted, actor]);
  return provided === undefined ? null : createElement(Context.Provider, { value: provided }, children);
}

/**
 * Returns a VM by its key: one handle for all components, which sends nothing by itself.
 *
 * @param key key of the VM
 * @param options `create: true` makes a missing VM with its first action. @default a missing VM is an error
 */
export function useVm(key: string | string[], { create = false }: { create?: boolean } = {}): VmHandle {
  const provided = useContext(Context);
  if (provided === undefined) throw new Error("useVm needs an <AgentVmProvider> above it");
  const { client, actor, handles } = provided;
  const id = JSON.stringify([create, key]);
  let handle = handles.get(id);
  if (handle === undefined) {
    const vms = (client as unknown as Record<string, VmAccessor>)[actor] as VmAccessor;
    handle = create ? vms.getOrCreate(key) : vms.get(key);
    handles.set(id, handle);
  }
  return handle;
}
