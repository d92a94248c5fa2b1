import { useState } from "preact/hooks";
import { useMachine } from "../state/context.ts";
import { Form, FormButtons } from "../ui/parts.tsx";
import { attempt } from "../ui/toast.tsx";

/** A form for a job that runs a command. */
export function NewJob({ onDone }: { onDone: () => void }) {
  const { vm } = useMachine();
  const [id, setId] = useState("");
  const [schedule, setSchedule] = useState("*/5 * * * *");
  const [command, setCommand] = useState("");
  const submit = async () => {
    const made = await attempt(
      () => vm.scheduleCron({ ...(id !== "" && { id }), schedule, action: { type: "exec", command } }),
      "Scheduled",
    );
    if (made) onDone();
  };
  return (
    <Form onSubmit={submit}>
      <label class="field">
        <span>Id (a job with this id is replaced)</span>
        <input value={id} placeholder="backup" onInput={(event) => setId(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>Schedule: a cron expression, or a time such as 2030-01-01T12:00:00Z</span>
        <input value={schedule} onInput={(event) => setSchedule(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>Command</span>
        <input
          value={command}
          placeholder="tar czf /tmp/backup.tgz /workspace"
          onInput={(event) => setCommand(event.currentTarget.value)}
        />
      </label>
      <FormButtons yes="Schedule" onCancel={onDone} disabled={command === "" || schedule === ""} />
    </Form>
  );
}
