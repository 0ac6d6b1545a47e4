//! What a document shows, in the form in which the corpus of honest updates says it.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value, json};
use y_mesh::yrs::branch::{Branch, BranchPtr};
use y_mesh::yrs::types::text::YChange;
use y_mesh::yrs::{
    Any, Array, ArrayRef, Map, MapRef, Out, ReadTxn, Text, TextRef, XmlElementRef, XmlFragment, XmlFragmentRef, XmlOut,
};

/// What each root shows that is of this kind.
pub fn of<T: ReadTxn>(txn: &T, roots: &BTreeMap<String, String>) -> Value {
    let shown = roots.iter().map(|(name, kind)| (name.clone(), root(txn, name, kind)));
    Value::Object(shown.collect())
}

/// The same for every implementation of Yjs: numbers of one kind, neighbouring text of one format together.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().expect("a number") + 0.0),
        Value::Array(values) => values.iter().map(normal).collect(),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), normal(value)));
            let mut entries: Object<_, _> = entries.collect();
            if let Some(Value::Array(runs)) = entries.get_mut("text") {
                *runs = joined(std::mem::take(runs));
            }
            entries.into()
        }
        other => other.clone(),
    }
}

fn joined(runs: Vec<Value>) -> Vec<Value> {
    let mut joined: Vec<Value> = Vec::new();
    for run in runs {
        let Some(last) = joined.last_mut() else {
            joined.push(run);
            continue;
        };
        match (last[0].as_str(), run[0].as_str()) {
            (Some(before), Some(after)) if last.get(1) == run.get(1) => last[0] = format!("{before}{after}").into(),
            _ => joined.push(run),
        }
    }
    joined
}

fn root<T: ReadTxn>(txn: &T, name: &str, kind: &str) -> Value {
    let found = txn.root_refs().find(|(its, _)| *its == name).and_then(|(_, out)| branch(&out));
    let Some(branch) = found else {
        return match kind {
            "map" => json!({ "map": {} }),
            "fragment" => json!({ "children": [] }),
            "array" => json!({ "array": [] }),
            _ => json!({ "text": [] }),
        };
    };
    match kind {
        "text" | "xmltext" => text(txn, branch),
        "array" => array(txn, branch),
        "map" => map(txn, branch),
        "fragment" => fragment(txn, branch),
        other => panic!("no kind of root: {other}"),
    }
}

/// The shared type that this is, if it's one.
pub fn branch(out: &Out) -> Option<BranchPtr> {
    let branch: &Branch = match out {
        Out::YText(text) => text.as_ref(),
        Out::YArray(array) => array.as_ref(),
        Out::YMap(map) => map.as_ref(),
        Out::YXmlElement(element) => element.as_ref(),
        Out::YXmlFragment(fragment) => fragment.as_ref(),
        Out::YXmlText(text) => text.as_ref(),
        Out::UndefinedRef(branch) => branch,
        Out::Any(_) | Out::YDoc(_) => return None,
    };
    Some(BranchPtr::from(branch))
}

fn value<T: ReadTxn>(txn: &T, out: &Out) -> Value {
    match out {
        Out::Any(any) => of_any(any),
        Out::YDoc(doc) => json!({ "$doc": doc.guid().to_string() }),
        other => json!({ "$type": of_type(txn, other) }),
    }
}

fn of_type<T: ReadTxn>(txn: &T, out: &Out) -> Value {
    let branch = branch(out).expect("a shared type");
    match out {
        Out::YText(_) | Out::YXmlText(_) => text(txn, branch),
        Out::YArray(_) => array(txn, branch),
        Out::YXmlElement(element) => of_element(txn, element),
        Out::YXmlFragment(_) => fragment(txn, branch),
        _ => map(txn, branch),
    }
}

fn text<T: ReadTxn>(txn: &T, branch: BranchPtr) -> Value {
    let runs = TextRef::from(branch).diff(txn, YChange::identity).into_iter().map(|diff| {
        let what = match &diff.insert {
            Out::Any(Any::String(text)) => json!(text.as_ref()),
            other => value(txn, other),
        };
        match &diff.attributes {
            Some(format) => {
                let format = format.iter().map(|(key, value)| (key.to_string(), of_any(value)));
                json!([what, Value::Object(format.collect())])
            }
            None => json!([what]),
        }
    });
    with_attributes(txn, branch, json!({ "text": runs.collect::<Vec<_>>() }))
}

fn array<T: ReadTxn>(txn: &T, branch: BranchPtr) -> Value {
    let values = ArrayRef::from(branch).iter(txn).map(|one| value(txn, &one)).collect::<Vec<_>>();
    json!({ "array": values })
}

fn map<T: ReadTxn>(txn: &T, branch: BranchPtr) -> Value {
    json!({ "map": entries(txn, branch) })
}

fn entries<T: ReadTxn>(txn: &T, branch: BranchPtr) -> Object<String, Value> {
    MapRef::from(branch).iter(txn).map(|(key, one)| (key.to_owned(), value(txn, &one))).collect()
}

fn with_attributes<T: ReadTxn>(txn: &T, branch: BranchPtr, mut content: Value) -> Value {
    let attributes = entries(txn, branch);
    if !attributes.is_empty() {
        content["attributes"] = attributes.into();
    }
    content
}

fn fragment<T: ReadTxn>(txn: &T, branch: BranchPtr) -> Value {
    json!({ "children": children(txn, &XmlFragmentRef::from(branch)) })
}

fn of_element<T: ReadTxn>(txn: &T, element: &XmlElementRef) -> Value {
    let branch: &Branch = element.as_ref();
    let content = json!({ "element": element.tag().to_string(), "children": children(txn, element) });
    with_attributes(txn, BranchPtr::from(branch), content)
}

fn children<T: ReadTxn>(txn: &T, parent: &impl XmlFragment) -> Vec<Value> {
    let child = |child| match child {
        XmlOut::Element(element) => of_element(txn, &element),
        XmlOut::Fragment(inner) => fragment(txn, BranchPtr::from(AsRef::<Branch>::as_ref(&inner))),
        XmlOut::Text(inner) => text(txn, BranchPtr::from(AsRef::<Branch>::as_ref(&inner))),
    };
    parent.children(txn).map(child).collect()
}

fn of_any(any: &Any) -> Value {
    match any {
        Any::Null => Value::Null,
        Any::Undefined => json!({ "$undefined": true }),
        Any::Bool(is) => json!(is),
        Any::Number(number) => match number.as_f64() {
            Some(number) if number.is_finite() => json!(number),
            Some(number) => {
                json!({ "$number": if number.is_nan() { "NaN" } else if number > 0.0 { "Infinity" } else { "-Infinity" } })
            }
            None => json!({ "$bigint": number.as_i64().expect("one of the two").to_string() }),
        },
        Any::String(text) => json!(text.as_ref()),
        Any::Buffer(bytes) => json!({ "$bytes": bytes.as_ref() }),
        Any::Array(values) => values.iter().map(of_any).collect(),
        Any::Map(entries) => Value::Object(entries.iter().map(|(key, value)| (key.clone(), of_any(value))).collect()),
    }
}
