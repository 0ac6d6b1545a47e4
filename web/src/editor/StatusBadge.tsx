import type { State, Standing } from '../session/standing.ts'
import { CheckIcon, CloudIcon, CloudOffIcon, EyeIcon, StopIcon, SyncIcon } from '../ui/icons.tsx'

const icons: Record<State, () => preact.JSX.Element> = {
  connecting: SyncIcon,
  offline: CloudOffIcon,
  syncing: SyncIcon,
  synced: CloudIcon,
  saved: CheckIcon,
  'read-only': EyeIcon,
  refused: StopIcon,
}

export function StatusBadge({ standing }: { standing: Standing }) {
  const Icon = icons[standing.state]
  return (
    <p class="status" id="status" data-state={standing.state} title={standing.hint}>
      <Icon />
      {standing.words}
    </p>
  )
}
