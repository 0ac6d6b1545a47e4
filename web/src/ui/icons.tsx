// Line icons on a 20 by 20 grid. Decorative: the control that holds one carries the name.
import type { ComponentChildren } from 'preact'

function icon(shape: ComponentChildren) {
  return () => (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      {shape}
    </svg>
  )
}

export const UndoIcon = icon(<path d="M7.5 5 4 8.5 7.5 12M4.5 8.5H12a4 4 0 0 1 0 8H9" />)
export const RedoIcon = icon(<path d="M12.5 5 16 8.5 12.5 12M15.5 8.5H8a4 4 0 0 0 0 8h3" />)
export const BoldIcon = icon(<path class="strong" d="M6 4.5h4.6a2.7 2.7 0 0 1 0 5.4H6zM6 9.9h5.4a2.8 2.8 0 0 1 0 5.6H6z" />)
export const ItalicIcon = icon(<path d="M9 4.5h5M6 15.5h5M11.8 4.5l-3.6 11" />)
export const StrikeIcon = icon(<path d="M4 10h12M13.6 6.6C13.2 5.3 11.9 4.5 10.1 4.5c-2 0-3.5 1-3.5 2.6 0 1.2.8 1.9 2 2.4M6.3 13.2c.4 1.5 1.8 2.3 3.8 2.3 2.1 0 3.7-1 3.7-2.7 0-.5-.1-.9-.4-1.3" />)
export const CodeIcon = icon(<path d="M7 6 3 10l4 4M13 6l4 4-4 4" />)
export const CodeBlockIcon = icon(
  <>
    <rect x="3" y="3.5" width="14" height="13" rx="2" />
    <path d="m8 8-2 2 2 2M12 8l2 2-2 2" />
  </>,
)
export const QuoteIcon = icon(<path d="M4 4.5v11M8 6h8M8 10h8M8 14h5" />)
export const BulletIcon = icon(
  <>
    <path d="M8 5.5h8.5M8 10h8.5M8 14.5h8.5" />
    <path class="dots" d="M4 5.5h0M4 10h0M4 14.5h0" />
  </>,
)
export const NumberIcon = icon(<path d="M9 5.5h7.5M9 10h7.5M9 14.5h7.5M3.8 4l1.2-.6v4M3.6 12.4c.2-.6 2-.8 2 .3 0 .8-2 1.5-2 2.7h2.2" />)
export const TaskIcon = icon(
  <>
    <rect x="3" y="3.5" width="6" height="6" rx="1.5" />
    <path d="m4.6 6.5 1.1 1.1 2-2.2M12 6.5h5M12 14h5" />
    <rect x="3" y="11" width="6" height="6" rx="1.5" />
  </>,
)
export const LinkIcon = icon(<path d="m8.3 11.7 3.4-3.4M9 6.2l1.6-1.6a3.4 3.4 0 0 1 4.8 4.8L13.8 11M11 13.8l-1.6 1.6a3.4 3.4 0 0 1-4.8-4.8L6.2 9" />)
export const ShareIcon = icon(
  <>
    <rect x="7" y="7" width="9.5" height="9.5" rx="2" />
    <path d="M13 7V5.5a2 2 0 0 0-2-2H5.5a2 2 0 0 0-2 2V11a2 2 0 0 0 2 2H7" />
  </>,
)
export const CheckIcon = icon(<path d="m4.5 10.5 3.5 3.5 7.5-8" />)
export const PlusIcon = icon(<path d="M10 4.5v11M4.5 10h11" />)
export const PageIcon = icon(<path d="M5.5 2.5h6l3.5 3.5v11.5h-9.5zM11.5 2.5V6H15M8 10h4.5M8 13.5h4.5" />)
export const CloudIcon = icon(<path d="M6 15.5a3.5 3.5 0 0 1-.4-7A4.7 4.7 0 0 1 14.7 9a3.3 3.3 0 0 1-.5 6.5z" />)
export const CloudOffIcon = icon(<path d="m3 3 14 14M6.6 7A4.7 4.7 0 0 0 5.6 8.5a3.5 3.5 0 0 0 .4 7h8M9 5.3A4.7 4.7 0 0 1 14.7 9a3.3 3.3 0 0 1 2.1 5.1" />)
export const SyncIcon = icon(<path d="M15.8 8A6.2 6.2 0 0 0 4.7 6.8L4 8M4 4v4h4M4.2 12a6.2 6.2 0 0 0 11.1 1.2l.7-1.2M16 16v-4h-4" />)
export const EyeIcon = icon(
  <>
    <path d="M2.5 10S5.5 5 10 5s7.5 5 7.5 5-3 5-7.5 5-7.5-5-7.5-5z" />
    <circle cx="10" cy="10" r="2.2" />
  </>,
)
export const StopIcon = icon(
  <>
    <circle cx="10" cy="10" r="7" />
    <path d="M10 6.5V10.8M10 13.5h0" />
  </>,
)

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M9 9l7 7.5L23 9M16 16.5V24" />
      <circle cx="9" cy="9" r="3" />
      <circle cx="23" cy="9" r="3" />
      <circle cx="16" cy="24" r="3" />
    </svg>
  )
}
