/**
 * Hooks for React on the typed client.
 *
 * @example
 * ```tsx
 * import { AgentVmProvider, useEvent, useVm } from "agent-vm/react";
 *
 * function Ports() {
 *   const vm = useVm(["alice", "main"]);
 *   const [ports, setPorts] = useState<number[]>([]);
 *   useEvent(vm, "portOpened", ({ port }) => setPorts((all) => [...all, port]));
 *   return <p>{ports.join(", ")}</p>;
 * }
 * ```
 * @module
 */

export {
  AgentVmProvider,
  type AgentVmProviderProps,
  type ClientProps,
  type OptionsProps,
  type ReactClient,
  useVm,
} from "./provider.ts";
export { useEvent } from "./use-event.ts";
export { type UsedSession, useSession } from "./use-session.ts";
export { type UsedTerminal, useTerminal } from "./use-terminal.ts";
