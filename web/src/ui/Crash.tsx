/** Stands in for a part of the page that couldn't be loaded, as after the server was upgraded. */
export function Crash() {
  return (
    <main class="crash">
      <h1>This page is out of date</h1>
      <p>A part of it couldn't be loaded: the server may have been upgraded, or can't be reached.</p>
      <button class="button primary" type="button" onClick={() => location.reload()}>
        Load it again
      </button>
    </main>
  )
}
