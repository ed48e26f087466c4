/** The round sign of a person: their colour, their letters, and whether they are here or away. */
import { hueOf, initials, type Person } from '../model/person.ts';
import { make } from './element.ts';

export function avatar(person: Pick<Person, 'user' | 'name'> & { readonly away?: boolean }): HTMLElement {
  const sign = make('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(person.name));
  colour(sign, person.user);
  if (person.away !== undefined) sign.dataset['presence'] = person.away ? 'away' : 'here';
  return sign;
}

/** Through the object model, which the page's policy allows where a style attribute is refused. */
export function colour(element: HTMLElement, user: string): void {
  element.style.setProperty('--hue', String(hueOf(user)));
}
