import { useEffect, useState } from "preact/hooks";
import { LoginPage } from "./pages/login.tsx";
import { MachinePage } from "./pages/machine.tsx";
import { MachinesPage } from "./pages/machines.tsx";
import { PermissionBanner } from "./pages/permission-banner.tsx";
import { SessionContext } from "./state/context.ts";
import { type ListedMachine, listMachines, Trends } from "./state/machines.ts";
import { hrefOf, usePlace } from "./state/router.ts";
import { Session } from "./state/session.ts";
import { usePoll } from "./state/use-poll.ts";
import { Toasts } from "./ui/toast.tsx";

/** Pause between two lists of all machines. In milliseconds. */
const LIST_MS = 3_000;

export function App({ token }: { token: string | undefined }) {
  const [session, setSession] = useState(() => (token === undefined ? undefined : new Session(token)));
  const [, setRenewals] = useState(0);
  useEffect(() => {
    if (session !== undefined) session.onRenewed = () => setRenewals((count) => count + 1);
  }, [session]);
  if (session === undefined) return <LoginPage onLogin={(given) => setSession(new Session(given))} />;
  const logOut = async () => {
    await session.end();
    setSession(undefined);
  };
  return (
    <SessionContext.Provider value={session}>
      <Shell session={session} logOut={logOut} />
      <Toasts />
    </SessionContext.Provider>
  );
}

function Shell({ session, logOut }: { session: Session; logOut: () => Promise<void> }) {
  const place = usePlace();
  const [trends] = useState(() => new Trends());
  const list = async (): Promise<ListedMachine[]> => {
    const machines = await listMachines(session);
    trends.add(machines);
    return machines;
  };
  const { value: machines, error, refresh } = usePoll(list, LIST_MS, "machines");
  const isLoggedOut = (error as { code?: string } | undefined)?.code === "unauthorized";
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={hrefOf({ page: "machines" })}>
          agent-vm
        </a>
        {session.isReadOnly && <span class="badge">read only</span>}
        <span class="grow" />
        {error !== undefined && (
          <span class="badge error" role="status">
            {isLoggedOut ? "logged out" : "server unreachable"}
          </span>
        )}
        <button type="button" class="quiet" onClick={() => void logOut()}>
          {isLoggedOut ? "Log in" : "Log out"}
        </button>
      </header>
      <PermissionBanner machines={machines ?? []} />
      <main id="main">
        {place.page === "machines" ? (
          <MachinesPage machines={machines} trends={trends} refresh={refresh} error={error} />
        ) : (
          <MachinePage
            key={`${place.name}/${place.key.join("/")}`}
            place={place}
            machines={machines}
            trends={trends}
            refresh={refresh}
          />
        )}
      </main>
    </>
  );
}
