//! Lists that come in pages: `next` names the one that follows. Of that address only the query is taken, for the same list of
//! the same host: the key goes nowhere else, whatever an answer names. A list is read within bounds, and says where it is not whole.

use std::collections::HashSet;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::domain::attached::told::ToldList;
use crate::domain::values::size::thousands;

use super::shapes::ListPage;
use super::{Client, Error};

/// Pages of a list at most.
const PAGES: usize = 100;
/// After so many items no further page is asked for.
const ITEMS: usize = 10_000;
/// No further page is asked for so long after the first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the page is that follows one.
#[derive(Debug, PartialEq, Eq)]
enum NextPage {
    /// None follows.
    None,
    /// Here.
    At(Url),
    /// It says so in a form that is not known.
    Unknown,
}

impl Client {
    /// All of a list, as far as it is read. `of` makes an item of what came, `id` tells items apart: while a list grows, the last
    /// of a page comes once more with the next one.
    ///
    /// # Errors
    /// When its first page does not come.
    pub(super) async fn listed<T: DeserializeOwned, U>(
        &self,
        first: Url,
        of: impl Fn(T) -> U,
        id: impl Fn(&U) -> String,
    ) -> Result<ToldList<U>, Error> {
        Ok(self.pages(first, of, id).await?.0)
    }

    /// The same, with the error of a later page, which the list says in short.
    pub(super) async fn pages<T: DeserializeOwned, U>(
        &self,
        first: Url,
        of: impl Fn(T) -> U,
        id: impl Fn(&U) -> String,
    ) -> Result<(ToldList<U>, Option<Error>), Error> {
        let began = Instant::now();
        let mut page: ListPage<T> = self.read(first.clone()).await?;
        let (count, mut items, mut unread, mut failed) = (page.count(), Vec::new(), None, None);
        let (mut known, mut asked) = (HashSet::new(), HashSet::from([first.clone()]));
        loop {
            // What one page has twice is there twice.
            let came: Vec<(String, U)> =
                page.results.into_iter().map(&of).map(|item| (id(&item), item)).collect();
            let ids: Vec<String> =
                came.iter().map(|(id, _)| id.clone()).filter(|id| !id.is_empty()).collect();
            items.extend(came.into_iter().filter(|(id, _)| !known.contains(id)).map(|(_, item)| item));
            known.extend(ids);
            let next = match following(&first, &page.next) {
                NextPage::None => break,
                NextPage::Unknown => {
                    unread = Some("it names the next page in a form that is not known".to_owned());
                    break;
                }
                NextPage::At(next) => next,
            };
            unread = match () {
                () if items.len() >= ITEMS => Some(after(ITEMS)),
                () if asked.len() >= PAGES => Some(format!("after {PAGES} pages no more are read")),
                () if began.elapsed() >= PATIENCE => {
                    Some(format!("after {} s no more are read", PATIENCE.as_secs()))
                }
                () if !asked.insert(next.clone()) => Some("it names the same page again".to_owned()),
                () => None,
            };
            if unread.is_some() {
                break;
            }
            page = match self.read(next).await {
                Ok(page) => page,
                // What came is worth something.
                Err(error) => {
                    (unread, failed) = (Some(error.brief()), Some(error));
                    break;
                }
            };
        }
        if items.len() > ITEMS {
            items.truncate(ITEMS);
            unread = Some(after(ITEMS));
        }
        Ok((ToldList { count, items, unread }, failed))
    }
}

/// Said where so many items are enough.
fn after(items: usize) -> String {
    format!("after {} no more are read", thousands(items))
}

/// The page that `next` names, as a page of the list that began there.
fn following(first: &Url, next: &Value) -> NextPage {
    let text = match next {
        Value::Null | Value::Bool(false) => return NextPage::None,
        Value::String(text) if text.is_empty() => return NextPage::None,
        Value::String(text) => text,
        _ => return NextPage::Unknown,
    };
    match first.join(text).ok().as_ref().and_then(Url::query) {
        Some(query) => {
            let mut page = first.clone();
            page.set_query(Some(query));
            NextPage::At(page)
        }
        None => NextPage::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_page_is_one_of_the_same_list_whatever_an_answer_names() {
        let first = Url::parse("https://connect-x.heroku.com/api/v3/connections/1/errors").unwrap();
        let at = |query: &str| {
            NextPage::At(
                Url::parse(&format!("https://connect-x.heroku.com/api/v3/connections/1/errors?{query}"))
                    .unwrap(),
            )
        };
        for (next, wanted) in [
            (
                json!("https://connect-x.heroku.com/api/v3/connections/1/errors?page=2&page_size=5"),
                at("page=2&page_size=5"),
            ),
            (json!("http://connect-x.heroku.com/errors?cursor=c%3D"), at("cursor=c%3D")),
            (json!("?page=2"), at("page=2")),
            (json!("https://evil.example.com/?page=2"), at("page=2")),
            (json!(null), NextPage::None),
            (json!(""), NextPage::None),
            (json!(false), NextPage::None),
            (json!(2), NextPage::Unknown),
            (json!("https://connect-x.heroku.com/api/v3/2"), NextPage::Unknown),
        ] {
            assert_eq!(following(&first, &next), wanted, "{next}");
        }
    }
}
