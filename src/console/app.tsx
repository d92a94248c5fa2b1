import { useEffect, useState } from "preact/hooks";
import { LoginDialog, LoginPage } from "./pages/login.tsx";
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
  const logInAgain = (given: string) => {
    session.drop();
    setSession(new Session(given));
  };
  return (
    <SessionContext.Provider value={session}>
      <Shell session={session} logOut={logOut} logInAgain={logInAgain} />
      <Toasts />
    </SessionContext.Provider>
  );
}

interface ShellProps {
  session: Session;
  logOut: () => Promise<void>;
  /** @param token token of a new login */
  logInAgain: (token: string) => void;
}

function Shell({ session, logOut, logInAgain }: ShellProps) {
  const place = usePlace();
  const [trends] = useState(() => new Trends());
  const list = async (): Promise<ListedMachine[]> => {
    const machines = await listMachines(session);
    trends.add(machines);
    return machines;
  };
  const { value: machines, error, refresh } = usePoll(list, LIST_MS, "machines");
  const isLoggedOut = (error as { code?: string } | undefined)?.code === "unauthorized";
  const [isAsked, setIsAsked] = useState(true);
  // A login that ends later asks again.
  useEffect(() => {
    if (!isLoggedOut) setIsAsked(true);
  }, [isLoggedOut]);
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
        <button type="button" class="quiet" onClick={() => (isLoggedOut ? setIsAsked(true) : void logOut())}>
          {isLoggedOut ? "Log in" : "Log out"}
        </button>
      </header>
      {isLoggedOut && isAsked && <LoginDialog onLogin={logInAgain} onClose={() => setIsAsked(false)} />}
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
