import { useEffect, useRef } from "react";
import type { VmEventName, VmEvents, VmHandle } from "../client/index.ts";
import { borrow } from "./connections.ts";

/**
 * Calls back with each event of a VM while the component is mounted. The newest callback gets the event. An open connection
 * keeps the VM awake; it does not boot a VM that sleeps.
 *
 * @param vm handle of `useVm`; `undefined` waits
 * @param name name of the event
 */
export function useEvent<Name extends Exclude<VmEventName, "callSettled">>(
  vm: VmHandle | undefined,
  name: Name,
  callback: (payload: VmEvents[Name]) => void,
): void {
  const newest = useRef(callback);
  newest.current = callback;
  useEffect(() => {
    if (vm === undefined) return;
    const { connection, giveBack } = borrow(vm);
    const on = connection.on as (name: Name, callback: (payload: VmEvents[Name]) => void) => () => void;
    const stop = on.call(connection, name, (payload) => newest.current(payload));
    return () => {
      stop();
      giveBack();
    };
  }, [vm, name]);
}
