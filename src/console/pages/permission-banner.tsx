import { useEffect, useState } from "preact/hooks";
import type { PermissionReply, PermissionRequest } from "../../client/index.ts";
import { useSession } from "../state/context.ts";
import type { ListedMachine } from "../state/machines.ts";
import { hrefOf } from "../state/router.ts";
import type { Session } from "../state/session.ts";
import { keyText } from "../ui/format.ts";
import { attempt } from "../ui/toast.tsx";

interface Waiting {
  id: string;
  name: string;
  key: string[];
  sessionId: string;
  request: PermissionRequest;
}

/** Machines that the console listens to at once. */
const MOST_MACHINES = 50;

/** Permission requests of all machines whose agents work, on every page. Listening holds no idle machine awake. */
export function PermissionBanner({ machines }: { machines: readonly ListedMachine[] }) {
  const session = useSession();
  const [waiting, setWaiting] = useState<Waiting[]>([]);
  const working = session.may("sessions")
    ? machines.filter(({ use }) => (use?.promptsRunning ?? 0) > 0).slice(0, MOST_MACHINES)
    : [];
  const remove = (id: string) => setWaiting((all) => all.filter((each) => each.id !== id));
  const answer = async ({ id, name, key, sessionId, request }: Waiting, reply: PermissionReply) => {
    const vm = session.vm(name, key);
    if (await attempt(() => vm.respondPermission(sessionId, request.permissionId, reply))) remove(id);
  };
  return (
    <>
      {working.map((machine) => (
        <Listener
          key={machine.id}
          session={session}
          machine={machine}
          onWaiting={(mine) =>
            setWaiting((all) => [...all.filter(({ id }) => !id.startsWith(`${machine.id}/`)), ...mine])
          }
        />
      ))}
      {waiting.length > 0 && (
        <section class="permissions" role="alert" aria-label="Permission requests">
          {waiting.map((each) => (
            <div class="permission" key={each.id}>
              <span class="permission-text">
                <a href={hrefOf({ page: "machine", name: each.name, key: each.key, tab: "sessions" })}>
                  {keyText(each.key)}
                </a>{" "}
                asks: <strong>{each.request.description ?? "an action"}</strong>
              </span>
              <button type="button" class="primary" onClick={() => void answer(each, "once")}>
                Allow once
              </button>
              <button type="button" onClick={() => void answer(each, "always")}>
                Always
              </button>
              <button type="button" class="danger" onClick={() => void answer(each, "reject")}>
                Reject
              </button>
            </div>
          ))}
        </section>
      )}
    </>
  );
}

interface ListenerProps {
  session: Session;
  machine: ListedMachine;
  onWaiting: (waiting: Waiting[]) => void;
}

/** Listens to one machine. It is mounted while an agent of the machine works. */
function Listener({ session, machine: { id, name, key }, onWaiting }: ListenerProps) {
  const accessor = session.vms(name);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the machine is known by its id
  useEffect(() => {
    let isOver = false;
    const connection = accessor.get(key).connect();
    // Reads the pending requests again with each event, so that the answer of another client counts too.
    const look = async () => {
      const sessions = await connection.listSessions();
      const infos = await Promise.all(sessions.map(({ sessionId }) => connection.getSession(sessionId)));
      const found = infos.flatMap(({ sessionId, pendingPermissions }) =>
        pendingPermissions.map((request) => ({
          id: `${id}/${sessionId}/${request.permissionId}`,
          name,
          key,
          sessionId,
          request,
        })),
      );
      if (!isOver) onWaiting(found);
    };
    const again = () => void look().catch(() => undefined);
    connection.on("permissionRequest", again);
    connection.on("sessionEvent", ({ event }) => {
      if (event.method === "_agentvm/permission_resolved") again();
    });
    connection.onOpen(again);
    return () => {
      isOver = true;
      onWaiting([]);
      void connection.dispose();
    };
  }, [id, accessor]);
  return null;
}
