import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { VmHandle, VmListEntry } from "../../client/index.ts";
import type { Session } from "./session.ts";

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error("There is no login");
  return session;
}

/** The machine of a page. */
export interface MachineView {
  name: string;
  key: string[];
  vm: VmHandle;
  /** The machine in the list; `undefined` before the first answer. */
  entry: VmListEntry | undefined;
  /** Whether programs run or could run: methods that need the machine boot nothing. */
  isAwake: boolean;
}

export const MachineContext = createContext<MachineView | undefined>(undefined);

export function useMachine(): MachineView {
  const machine = useContext(MachineContext);
  if (machine === undefined) throw new Error("There is no machine");
  return machine;
}
