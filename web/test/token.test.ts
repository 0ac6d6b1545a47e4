import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSendable, tokenIn } from '../src/token.ts'

test('a token is read from the fragment', () => {
  assert.equal(tokenIn('#token=abc'), 'abc')
  assert.equal(tokenIn('#x=1&token=a%2Bb+c'), 'a+b+c')
  for (const fragment of ['', '#', '#token=', '#mytoken=abc', '#token=%ff']) assert.equal(tokenIn(fragment), null)
})

test('a token that no sub-protocol can hold is known', () => {
  assert.ok(isSendable("Az09!#$%&'*+-.^_`|~"))
  for (const token of ['', 'a b', 'a/b', 'a=', 'a"b', 'é']) assert.ok(!isSendable(token))
})
