import { useState } from "preact/hooks";
import type { CronJobInfo, CronRun } from "../../client/index.ts";
import { useMachine, useSession } from "../state/context.ts";
import { ASLEEP_MS, usePoll } from "../state/use-poll.ts";
import { ask, Dialog } from "../ui/dialog.tsx";
import { ago, dateTime, span } from "../ui/format.ts";
import { Empty, Failure } from "../ui/parts.tsx";
import { NewJob } from "./cron-form.tsx";

/** Pause between two looks at the jobs. In milliseconds. */
const LOOK_MS = 3_000;
/** Runs on the page. */
const RUNS = 100;

/** Cron jobs with their next runs, and the history with output. Reading them boots nothing. */
export default function CronPage() {
  const { vm, key, isAwake } = useMachine();
  const session = useSession();
  const [isNew, setIsNew] = useState(false);
  const look = async () => {
    const [jobs, runs] = await Promise.all([vm.listCronJobs(), vm.listCronRuns(undefined, { limit: RUNS })]);
    return { jobs, runs };
  };
  const { value, error, refresh, act } = usePoll(
    look,
    isAwake ? LOOK_MS : ASLEEP_MS,
    `${key.join("/")} ${isAwake}`,
  );
  const remove = async (id: string) => {
    if ((await ask({ title: `Delete the job ${id}`, yes: "Delete", isDangerous: true })) !== undefined)
      await act(() => vm.cancelCronJob(id));
  };
  const mayChange = session.may("cron");
  return (
    <div class="scroll">
      <Failure error={error} />
      <section class="card">
        <div class="bar small">
          <h2>Jobs</h2>
          <span class="grow" />
          {mayChange && (
            <button type="button" class="primary" onClick={() => setIsNew(true)}>
              New job
            </button>
          )}
        </div>
        {value?.jobs.length === 0 && <Empty>There is no job.</Empty>}
        <ul class="plain">
          {value?.jobs.map((job) => (
            <li class="row" key={job.id}>
              <span class="name">
                <strong>{job.id}</strong> <code>{job.schedule}</code> {workOf(job)}
                <br />
                <span class="hint">
                  {job.paused
                    ? "paused"
                    : `next ${job.nextRun === null ? "never" : `${ago(job.nextRun)} (${dateTime(job.nextRun)} here)`}`}{" "}
                  · {job.runCount} runs · {job.timezone} {job.running ? "· running" : ""}
                </span>
              </span>
              {mayChange && (
                <span class="actions">
                  <button
                    type="button"
                    onClick={() => void act(() => vm.runCronJob(job.id), `Runs ${job.id}`)}
                  >
                    Run now
                  </button>
                  <button
                    type="button"
                    onClick={() =>
                      void act(() => (job.paused ? vm.resumeCronJob(job.id) : vm.pauseCronJob(job.id)))
                    }
                  >
                    {job.paused ? "Resume" : "Pause"}
                  </button>
                  <button type="button" class="danger" onClick={() => void remove(job.id)}>
                    Delete
                  </button>
                </span>
              )}
            </li>
          ))}
        </ul>
      </section>
      <section class="card">
        <h2>Runs</h2>
        {value?.runs.length === 0 && <Empty>No job has run yet.</Empty>}
        {value?.runs.map((run) => (
          <Run key={run.runId} run={run} />
        ))}
      </section>
      {isNew && (
        <Dialog title="New job" onClose={() => setIsNew(false)}>
          <NewJob
            onDone={() => {
              setIsNew(false);
              refresh();
            }}
          />
        </Dialog>
      )}
    </div>
  );
}

function Run({ run }: { run: CronRun }) {
  const isBad = run.status !== "completed" && run.status !== "running";
  return (
    <details class="run">
      <summary>
        <span class={isBad || run.exitCode ? "badge error" : "badge awake"}>
          {run.status}
          {run.exitCode === undefined ? "" : ` ${run.exitCode}`}
        </span>{" "}
        {run.jobId} <span class="hint">{ago(run.scheduledAt)}</span>{" "}
        {run.durationMs !== null && <span class="hint">took {span(run.durationMs / 1000)}</span>}
      </summary>
      {run.reason && <p>{run.reason}</p>}
      <pre class="wrap">{run.outputTail || "No output."}</pre>
    </details>
  );
}

function workOf({ action }: CronJobInfo): string {
  return action.type === "exec"
    ? [action.command, ...(action.args ?? [])].join(" ")
    : `${action.agentType}: ${action.prompt}`;
}
